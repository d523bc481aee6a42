"""What `feed` does, as a thin layer for people: every command calls plain functions of the packages."""

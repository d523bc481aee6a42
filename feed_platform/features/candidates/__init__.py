"""What `/v1/feed` may show: lists of posts, and what each person has seen, hidden and engaged with."""

"""What the gate lets pass that it shouldn't, and holds back that it should let pass."""

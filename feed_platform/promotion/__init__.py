"""Whether a model may serve: evidence, verdict, approval, the way back."""

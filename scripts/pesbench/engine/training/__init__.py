"""Training of models by the trainers of their own packages, one epoch at a time, so that any of them can be killed."""

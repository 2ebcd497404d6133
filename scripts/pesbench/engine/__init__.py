"""Relaxations and evaluations on one model, the same for every benchmark."""

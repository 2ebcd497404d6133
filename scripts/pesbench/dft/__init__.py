"""Density functional theory: one function that labels a structure, whatever the code behind it."""

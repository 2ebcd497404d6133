"""Which models exist (registry), how they load (a lazy loader a family), whether they are right."""

"""Where structures and published numbers come from: one module a source."""

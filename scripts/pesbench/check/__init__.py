"""How far can a model be trusted on a user's own material? From a structure or labelled frames to one page."""

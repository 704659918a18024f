"""Reports of harmful content, from whoever sends one to the province."""

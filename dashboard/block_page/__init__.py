"""What a pupil meets where a name is not open: an application of its own, for every host and every path, that shows no page of the dashboard."""

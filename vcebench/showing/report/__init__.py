"""The report: a static site about one or more runs, to be opened from a folder."""

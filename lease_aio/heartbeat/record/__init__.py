"""What heartbeats have done: counts and histograms, over time too, and the report that is made of them. Pure."""

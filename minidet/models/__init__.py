"""The networks, as their papers and reference implementations define them."""

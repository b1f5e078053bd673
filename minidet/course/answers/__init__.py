"""One right answer to each exercise, topic by topic. Plain NumPy: nothing here calls the rest of minidet."""

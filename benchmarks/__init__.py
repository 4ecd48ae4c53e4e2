"""Speed as a ratio: ours and a plain implementation, interleaved in one run, medians."""

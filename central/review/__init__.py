"""Central decides again: the rules over the receipt of every decision, after the event and apart from its delivery."""

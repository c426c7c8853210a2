"""Leat: durable, ordered, replayable streams."""

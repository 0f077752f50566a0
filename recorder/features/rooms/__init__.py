"""Rooms: people in different places hear the same moment of a recording at the same time."""

"""Bounds of memory and time for images, whatever their files declare."""

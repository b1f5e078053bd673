"""Figures: functions that take numbers and axes and return the axes. Only here is matplotlib imported."""

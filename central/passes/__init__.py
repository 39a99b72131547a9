"""Passes: signed at central, checked at doors that may be offline; and the page that shows a member's rotating code."""

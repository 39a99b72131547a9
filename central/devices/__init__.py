"""Sites, doors, and the devices at them: keys, enrolment, tokens, commands."""

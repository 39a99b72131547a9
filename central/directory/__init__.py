"""Who may pass: members, their credentials, and what each device is told of them."""

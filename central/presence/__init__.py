"""Who is where at each site, followed from the events of its doors and told to all of them."""

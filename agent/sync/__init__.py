"""The agent's side of the link: a pure session, one connection, one retry policy, and the glue to the store."""

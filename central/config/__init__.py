"""How central is put together: settings, routes, and the application that the server runs."""

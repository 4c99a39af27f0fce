"""What ``serve.py`` is made of: settings, the threads that execute calls, metrics, the OpenAPI document."""

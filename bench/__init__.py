"""What a server costs on this machine: start-up, memory, CPU per request, read from the operating system."""

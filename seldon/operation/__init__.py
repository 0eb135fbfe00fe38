"""What people who run the service see of it: metrics, log lines, health and readiness."""

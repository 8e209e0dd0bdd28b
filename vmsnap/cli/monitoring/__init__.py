"""What monitoring reads: metrics files of Prometheus and the line of a Nagios plugin."""

"""What calls leave behind: the server's log, errors, metrics, activity and numbers by the minute."""

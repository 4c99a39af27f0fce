"""Where the platform keeps what it hosts: one SQLite database, files on disk or in S3, git repositories."""

"""Mail: composing, SMTP, signing, and what comes back."""

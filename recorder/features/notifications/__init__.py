"""What a customer's admins are told: by mail and in the panel, as each of them chooses."""

"""What a person sees: relevance as pictures."""

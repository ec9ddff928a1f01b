"""What no kept model needs: proposed with its bytes, deleted when a person says so, and never what a champion needs."""

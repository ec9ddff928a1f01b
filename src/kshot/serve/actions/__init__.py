"""The actions of the gallery service: recognise, teach, import, export, delete, label."""

"""TeachOnce's library: data sets, decoders, views, teachers, students, losses, training, evaluation and scoring."""

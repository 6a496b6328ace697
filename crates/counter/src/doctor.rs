//! Is everything in order? One line per question.

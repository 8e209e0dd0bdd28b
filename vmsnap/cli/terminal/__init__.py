"""What is said and asked, on a terminal or not: answers, drawing, questions, progress."""

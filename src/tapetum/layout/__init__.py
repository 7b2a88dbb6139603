"""Layout: lines → words, paragraphs, blocks, columns; scripts and languages."""

{{ dead_letters(source('external', 'dead_letters_ext')) }}

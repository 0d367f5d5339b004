select name, checksum, program from punctual.triggers

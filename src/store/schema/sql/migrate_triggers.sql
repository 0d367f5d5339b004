select name, checksum from punctual.triggers

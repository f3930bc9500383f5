" Written by docs/editors/build.py.
au BufRead,BufNewFile *.net setfiletype netspec

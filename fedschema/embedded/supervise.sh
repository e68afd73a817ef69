# Serves one throwaway cluster and removes it when our standard input ends, which is when whoever wants it has died.
# Arguments: a directory name, then the parents to try. Says on stdout where it made the directory. Reads the server's
# command, a word a line and an empty line at the end; the next line, or the end, means stop.
umask 077
trap '' HUP INT QUIT TERM

name=$1
shift
directory=
for parent do
    if mkdir "$parent/$name" && mkdir "$parent/$name/run"; then
        directory=$parent/$name
        break
    fi
done
[ -n "$directory" ] || exit 1
echo "$directory"

set --
complete=
while IFS= read -r word; do
    if [ -z "$word" ]; then
        complete=yes
        break
    fi
    set -- "$@" "$word"
done

if [ -n "$complete" ] && [ $# -gt 0 ]; then
    "$@" </dev/null 2>"$directory/log" &
    server=$!
    # From here on the server alone holds stdout, which therefore ends with it.
    exec >&-
    IFS= read -r word
    # More than once: at first it ignores the signal, as we do.
    while kill -QUIT "$server"; do
        sleep 0.05
    done
    wait "$server"
fi
cd /
rm -rf -- "$directory"

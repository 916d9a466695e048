#!/bin/sh
# An MCP server that starts in a millisecond and then waits: hundreds of sessions can each have one of their own without
# the start of a process hiding what a session costs. It knows `initialize`; every other request fails.
while IFS= read -r line; do
  case $line in *'"id":'*) ;; *) continue ;; esac
  id=${line#*'"id":'}
  id=${id%%[,\}]*}
  case $line in
    *'"method":"initialize"'*)
      info='"serverInfo":{"name":"trivial","version":"1.0.0"}'
      answer="\"result\":{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{},$info}"
      ;;
    *) answer='"error":{"code":-32601,"message":"not served here"}' ;;
  esac
  printf '{"jsonrpc":"2.0","id":%s,%s}\n' "$id" "$answer"
done

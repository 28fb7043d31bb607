"""What a person sees while a trial runs: one line kept up to date on a terminal, otherwise one every ten seconds."""
import sys
import time


class Picture:
    def __init__(self):
        self._is_terminal = sys.stdout.isatty()
        self._last_count, self._last_time = 0, time.monotonic()
        self._printed = 0.0

    def show(self, left, counts, active):
        now = time.monotonic()
        if now - self._last_time < 1:
            return
        total = sum(counts.values())
        rate = (total - self._last_count) / (now - self._last_time)
        self._last_count, self._last_time = total, now
        ok = counts.get("read ok", 0) + counts.get("write ok", 0)
        line = (f"{int(left) // 60:3}:{int(left) % 60:02} left  {rate:6.0f}/s  {total} operations, {ok} ok  "
                f"now: {', '.join(fault.describe() for fault in active) or 'nothing'}")
        if self._is_terminal:
            print(f"\r\033[K{line[:150]}", end="", flush=True)
        elif now - self._printed >= 10:
            self._printed = now
            print(line, flush=True)

    def say(self, text):
        """A line that stays."""
        print(("\r\033[K" if self._is_terminal else "") + text, flush=True)

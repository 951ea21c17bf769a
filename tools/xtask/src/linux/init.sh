#!/bin/busybox sh
# The first program of the small system: a shell on the console.
/bin/busybox --install -s /bin
export PATH=/bin HOME=/ PS1='# '
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
case " $(cat /proc/cmdline) " in
*" opaline.driven "*)
    # A program types: it needs no prompt and no echo.
    stty -echo
    PS1=
    ;;
*)
    echo
    uname -srm
    echo "Processors online: $(cat /sys/devices/system/cpu/online)"
    echo "'poweroff -f' ends it, 'reboot -f' starts over."
    ;;
esac
echo "OPALINE-LINUX: a shell"
exec setsid cttyhack sh

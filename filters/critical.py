"""Names that an imported list must not block whole, each with the reason: the guard's only data.

Lists get them by accident: a phishing *page* on a file host is flattened to the host (one Vietnamese list so names
``www.facebook.com``, ``www.youtube.com`` and ``zalo.me``), or a threat feed misfires. The name itself is guarded, and every
subtree that holds it; hosts below it (``ads.example.com``) are not. The categories of a group may name its names, since
they are their subject; a single source that means one says so in sources.yaml (``may_name``). Whom a school wants to
block, it blocks by a rule of its own.
"""

from typing import NamedTuple

from filters.message import Message


class Guarded(NamedTuple):
    reason: str
    subject_of: frozenset[str]
    """the categories whose lists may name it"""


_GROUPS: tuple[tuple[str, str, str], ...] = (
    # reason; categories that may; names
    (
        Message("systems would stop updating"),
        "",
        """
        windowsupdate.com update.microsoft.com download.windowsupdate.com delivery.mp.microsoft.com debian.org
        security.debian.org ubuntu.com archive.ubuntu.com raspberrypi.org raspberrypi.com openwrt.org downloads.openwrt.org
        mozilla.org mozilla.net android.com play.google.com android.clients.google.com mesu.apple.com swcdn.apple.com""",
    ),
    (
        Message("devices would think that they are offline"),
        "",
        """
        connectivitycheck.gstatic.com connectivitycheck.android.com clients3.google.com captive.apple.com msftconnecttest.com
        www.msftconnecttest.com msftncsi.com www.msftncsi.com dns.msftncsi.com detectportal.firefox.com""",
    ),
    (
        Message("certificates could not be checked, nor clocks set"),
        "",
        """
        letsencrypt.org lencr.org digicert.com ocsp.digicert.com pki.goog globalsign.com sectigo.com pool.ntp.org ntp.org
        time.windows.com time.apple.com time.google.com time.cloudflare.com time.android.com""",
    ),
    (
        Message("much of the web depends on it"),
        "",
        """
        google.com www.google.com google.com.vn www.google.com.vn accounts.google.com googleapis.com fonts.googleapis.com gstatic.com
        fonts.gstatic.com www.gstatic.com ssl.gstatic.com googleusercontent.com lh3.googleusercontent.com recaptcha.net cloudflare.com
        www.cloudflare.com cdnjs.cloudflare.com challenges.cloudflare.com cloudflare.net jsdelivr.net cdn.jsdelivr.net unpkg.com
        jquery.com code.jquery.com bootstrapcdn.com akamai.net akamaihd.net akamaiedge.net edgesuite.net edgekey.net fastly.net
        amazonaws.com s3.amazonaws.com cloudfront.net azureedge.net windows.net blob.core.windows.net azure.com trafficmanager.net
        ajax.googleapis.com storage.googleapis.com firebasestorage.googleapis.com disqus.com disquscdn.com yahoodns.net wordpress.com wordpress.org w3.org
        gravatar.com wp.com""",
    ),
    (
        Message("many people's pages share it"),
        "social video ai",
        """
        docs.google.com drive.google.com sites.google.com forms.gle goo.gl mail.google.com calendar.google.com classroom.google.com
        meet.google.com translate.google.com maps.google.com groups.google.com www.blogger.com blogger.com github.com
        raw.githubusercontent.com githubusercontent.com gitlab.com bitbucket.org dropbox.com www.dropbox.com mediafire.com
        www.mediafire.com onedrive.live.com 1drv.ms sharepoint.com box.com medium.com notion.so canva.com www.canva.com padlet.com
        scribd.com slideshare.net weebly.com wix.com tumblr.com pastebin.com bit.ly tinyurl.com t.co linktr.ee archive.org
        web.archive.org archive.today""",
    ),
    (
        Message("people write to each other there; a category or a service of its own speaks of it"),
        "social chat video dating",
        """
        facebook.com www.facebook.com m.facebook.com facebook.net fbcdn.net cdninstagram.com ytimg.com googlevideo.com ggpht.com messenger.com www.messenger.com instagram.com www.instagram.com whatsapp.com
        web.whatsapp.com zalo.me chat.zalo.me zaloapp.com youtube.com www.youtube.com m.youtube.com youtu.be tiktok.com
        www.tiktok.com twitter.com x.com linkedin.com www.linkedin.com reddit.com www.reddit.com pinterest.com discord.com
        discordapp.com cdn.discordapp.com telegram.org t.me web.telegram.org skype.com viber.com zoom.us vk.com quora.com
        stackoverflow.com stackexchange.com""",
    ),
    (
        Message("offices, classes and accounts hang on it"),
        "chat",
        """
        microsoft.com www.microsoft.com login.microsoftonline.com microsoftonline.com office.com www.office.com office365.com
        outlook.com outlook.office.com outlook.office365.com live.com login.live.com teams.microsoft.com windows.com msn.com
        bing.com www.bing.com apple.com www.apple.com icloud.com www.icloud.com appleid.apple.com itunes.apple.com adobe.com
        www.adobe.com yahoo.com www.yahoo.com mail.yahoo.com gmail.com samsung.com""",
    ),
    (
        Message("pupils learn there"),
        "",
        """
        wikipedia.org en.wikipedia.org vi.wikipedia.org wikimedia.org upload.wikimedia.org khanacademy.org coursera.org
        duolingo.com scratch.mit.edu mit.edu britannica.com nasa.gov bbc.co.uk bbc.com olm.vn hocmai.vn vietjack.com loigiaihay.com
        azota.vn shub.edu.vn k12online.vn vnedu.vn smas.edu.vn taphuan.csdl.edu.vn igiaoduc.vn hoc10.vn hanhtrangso.nxbgd.vn
        nxbgd.vn violympic.vn quizizz.com kahoot.com kahoot.it""",
    ),
    (
        Message("the state, schools and help speak through it"),
        "",
        """
        gov.vn edu.vn moet.gov.vn moet.edu.vn www.moet.gov.vn chinhphu.vn baochinhphu.vn dichvucong.gov.vn vneid.gov.vn bocongan.gov.vn
        mps.gov.vn mst.gov.vn mic.gov.vn ncsc.gov.vn tinnhiemmang.vn vn-cop.vn tongdai111.vn unicef.org nhandan.vn vtv.vn vov.vn
        qdnd.vn""",
    ),
    (
        Message("newspapers of record, banks and carriers of the country"),
        "",
        """
        vnexpress.net tuoitre.vn thanhnien.vn dantri.com.vn vietnamnet.vn laodong.vn tienphong.vn zingnews.vn znews.vn kenh14.vn
        24h.com.vn cafef.vn vietnamplus.vn baomoi.com vnpt.vn vnpt.com.vn vnptmedia.vn viettel.vn viettel.com.vn viettelpost.com.vn
        fpt.vn fpt.com.vn mobifone.vn vietcombank.com.vn vietinbank.vn bidv.com.vn agribank.com.vn techcombank.com techcombank.com.vn
        mbbank.com.vn acb.com.vn vpbank.com.vn tpb.vn sacombank.com.vn momo.vn zalopay.vn vnpay.vn paypal.com www.paypal.com
        visa.com mastercard.com""",
    ),
    (
        Message("a shop; a shopping list may speak of it"),
        "shopping video",
        "amazon.com www.amazon.com shopee.vn lazada.vn tiki.vn ebay.com aliexpress.com",
    ),
    (
        Message("not what a list took it for: newspapers, pages for everybody or tools live there (found by the over-blocking test)"),
        "video social",
        """
        vcmedia.vn typekit.net brightcove.com ooyala.com 5min.com turner.com cbsi.com thepostgame.com performgroup.com wsod.com
        imageshack.us foursquare.com livefyre.com fyre.co rpxnow.com janrain.com qualtrics.com uservoice.com truste.com maxmind.com
        newsinc.com realtime.co duba.net vidible.tv alexa.com newrelic.com urbanairship.com slidesharecdn.com unity3d.com wikia.com fandom.com nationalgeographic.com pbskids.org brainpop.com
        flowplayer.org gyazo.com quoracdn.net bdimg.com wshifen.com tencent.com netease.com pressdisplay.com wordcentral.com
        salesforceliveagent.com drugs.com rxlist.com villagevoice.com freerepublic.com lightinthebox.com bitcoin.org""",
    ),
    (
        Message("its safe search is forced (filters/safe_search.py), so the engine stays open"),
        "",
        """
        ecosia.org www.ecosia.org search.brave.com startpage.com www.startpage.com duckduckgo.com qwant.com www.qwant.com
        yandex.com yandex.ru pixabay.com""",
    ),
    (
        Message("a maker's own site, with its drivers, updates and news"),
        "",
        "nvidia.com www.nvidia.com nokia.com hp.com dell.com intel.com amd.com lenovo.com asus.com canon.com epson.com",
    ),
)

CRITICAL: dict[str, Guarded] = {
    name: Guarded(reason, frozenset(categories.split())) for reason, categories, names in _GROUPS for name in names.split()
}
"""name -> why it is guarded, and against whom not"""

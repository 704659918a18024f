"""The catalogue of services: one name for what people call one thing, and the domain names by which it works.

A tier blocks a service by its id (``services: [tiktok, roblox]``). Promises: every name is canonical and covers everything
below it; every name is the service's *own*, so that blocking it breaks nothing else. Refuses names that several services
share: content networks (akamai, cloudfront, ``fbcdn.net``, ``zadn.vn``, ``googlevideo.com``), single sign-on, and
``googleapis.com`` but for the two hosts that are YouTube's alone. So a blocked service may leave a picture loading; it
does not work. Ids are stable: they stand in school files. Made by hand from the services' own public documentation for
network administrators and from what their web sites load.
"""

from dataclasses import dataclass

from filters.name import parents


@dataclass(frozen=True, slots=True)
class Service:
    id: str
    vi: str
    en: str
    category: str
    """an id of filters/category.py: how the service is grouped on a page, and whether a teacher may lift it (Tier.liftable)"""
    names: tuple[str, ...]


def _service(service_id: str, category: str, title: str, names: str, *, vi: str = "") -> Service:
    """``title`` serves both languages unless ``vi`` gives the Vietnamese one."""
    return Service(service_id, vi or title, title, category, tuple(names.split()))


_SOCIAL = (
    _service(
        "tiktok",
        "social",
        "TikTok",
        "tiktok.com tiktokv.com tiktokv.us tiktokv.eu tiktokw.us tiktokw.eu tiktokcdn.com tiktokcdn-us.com tiktokcdn-eu.com"
        " tiktokd.org ttlivecdn.com ttwstatic.com musical.ly muscdn.com",
    ),
    _service("facebook", "social", "Facebook", "facebook.com facebook.net fb.com fb.me fb.gg fb.watch fbsbx.com static.xx.fbcdn.net"),
    _service("instagram", "social", "Instagram", "instagram.com cdninstagram.com ig.me instagr.am"),
    _service("threads", "social", "Threads", "threads.net threads.com"),
    _service("x", "social", "X (Twitter)", "x.com twitter.com t.co twimg.com twttr.com pscp.tv periscope.tv"),
    _service("reddit", "social", "Reddit", "reddit.com redd.it redditmedia.com redditstatic.com reddituploads.com"),
    _service("pinterest", "social", "Pinterest", "pinterest.com pin.it pinimg.com"),
    _service("tumblr", "social", "Tumblr", "tumblr.com"),
    _service("snapchat", "social", "Snapchat", "snapchat.com snap.com sc-cdn.net sc-static.net sc-gw.com snapkit.com bitmoji.com"),
    _service("locket", "social", "Locket Widget", "locket.camera locketcamera.com"),
    _service("bereal", "social", "BeReal", "bereal.com bere.al"),
    _service("lemon8", "social", "Lemon8", "lemon8-app.com lemon8.com"),
    _service("likee", "social", "Likee", "likee.video likee.com like.video"),
    _service("bigo", "social", "BIGO LIVE", "bigo.tv bigo.sg bigolive.tv"),
    _service("kwai", "social", "Kwai", "kwai.com kwai.net kwai-pro.com snackvideo.com"),
    _service("weibo", "social", "Weibo", "weibo.com weibo.cn sinaimg.cn"),
    _service("xiaohongshu", "social", "Xiaohongshu (RedNote)", "xiaohongshu.com xhslink.com xhscdn.com rednote.com"),
    _service("vk", "social", "VK", "vk.com vk.ru vk.me vkuser.net userapi.com"),
    _service("mastodon", "social", "Mastodon (mastodon.social)", "mastodon.social mastodon.online joinmastodon.org"),
    _service("bluesky", "social", "Bluesky", "bsky.app bsky.social bsky.network"),
    _service("linkedin", "social", "LinkedIn", "linkedin.com licdn.com lnkd.in"),
    _service("quora", "social", "Quora", "quora.com quoracdn.net"),
    _service("ask-fm", "social", "ASKfm", "ask.fm"),
    _service("ngl", "social", "NGL", "ngl.link"),
    _service("gapo", "social", "Gapo", "gapo.vn"),
    _service("mocha", "social", "Mocha", "mocha.com.vn"),
    _service("lotus", "social", "Lotus", "lotus.vn"),
    _service("voz", "social", "VOZ", "voz.vn"),
    _service("tinhte", "social", "Tinh tế", "tinhte.vn"),
    _service("webtretho", "social", "Webtretho", "webtretho.com"),
    _service("4chan", "social", "4chan", "4chan.org 4channel.org 4cdn.org"),
)

_CHAT = (
    _service("zalo", "chat", "Zalo", "zalo.me zaloapp.com zalo.vn zalo.cloud"),
    _service("messenger", "chat", "Messenger", "messenger.com m.me edge-chat.facebook.com"),
    _service("whatsapp", "chat", "WhatsApp", "whatsapp.com whatsapp.net wa.me"),
    _service("telegram", "chat", "Telegram", "telegram.org telegram.me t.me telegram.dog tdesktop.com telegra.ph graph.org telesco.pe"),
    _service("viber", "chat", "Viber", "viber.com vibercdn.com"),
    _service("discord", "chat", "Discord", "discord.com discord.gg discordapp.com discordapp.net discord.media discordcdn.com dis.gd"),
    _service("signal", "chat", "Signal", "signal.org signal.me whispersystems.org"),
    _service("line", "chat", "LINE", "line.me line-apps.com line-scdn.net"),
    _service("wechat", "chat", "WeChat", "wechat.com weixin.qq.com wx.qq.com"),
    _service("kakaotalk", "chat", "KakaoTalk", "kakao.com kakaocdn.net"),
    _service("skype", "chat", "Skype", "skype.com"),
    _service("omegle", "chat", "Omegle and its like", "omegle.com ome.tv", vi="Omegle và tương tự"),
    _service("chatroulette", "chat", "Chatroulette", "chatroulette.com"),
    _service("monkey", "chat", "Monkey", "monkey.app monkey.cool"),
    _service("azar", "chat", "Azar", "azarlive.com"),
    _service("kik", "chat", "Kik", "kik.com"),
    _service("yubo", "chat", "Yubo", "yubo.live"),
)

_VIDEO = (
    _service(
        "youtube",
        "video",
        "YouTube",
        "youtube.com youtu.be youtube-nocookie.com ytimg.com youtubei.googleapis.com youtube.googleapis.com",
    ),
    _service("youtube-kids", "video", "YouTube Kids", "youtubekids.com"),
    _service("netflix", "video", "Netflix", "netflix.com netflix.net nflxvideo.net nflxext.com nflximg.net nflximg.com nflxso.net"),
    _service("fpt-play", "video", "FPT Play", "fptplay.vn fptplay.net"),
    _service("vieon", "video", "VieON", "vieon.vn"),
    _service("k-plus", "video", "K+", "kplus.vn"),
    _service("galaxy-play", "video", "Galaxy Play", "galaxyplay.vn"),
    _service("mytv", "video", "MyTV", "mytv.com.vn mytv.vn"),
    _service("tv360", "video", "TV360", "tv360.vn"),
    _service("vtvgo", "video", "VTVgo", "vtvgo.vn"),
    _service("iqiyi", "video", "iQIYI", "iqiyi.com iq.com qiyi.com qiyipic.com 71.am"),
    _service("wetv", "video", "WeTV", "wetv.vip wetvinfo.com"),
    _service("youku", "video", "Youku", "youku.com youku.tv ykimg.com"),
    _service(
        "bilibili",
        "video",
        "Bilibili",
        "bilibili.com bilibili.tv biliapi.net biliapi.com bilivideo.com bilivideo.cn hdslb.com biliintl.com b23.tv",
    ),
    _service("twitch", "video", "Twitch", "twitch.tv ttvnw.net jtvnw.net twitchcdn.net"),
    _service("dailymotion", "video", "Dailymotion", "dailymotion.com dai.ly dmcdn.net"),
    _service("vimeo", "video", "Vimeo", "vimeo.com vimeocdn.com"),
    _service("disney-plus", "video", "Disney+", "disneyplus.com disney-plus.net dssott.com bamgrid.com"),
    _service("prime-video", "video", "Prime Video", "primevideo.com amazonvideo.com aiv-cdn.net pv-cdn.net"),
    _service("hbo-max", "video", "HBO Max", "hbomax.com max.com hbo.com hbogo.com hbogoasia.com"),
    _service("viki", "video", "Rakuten Viki", "viki.com viki.io"),
    _service("crunchyroll", "video", "Crunchyroll", "crunchyroll.com"),
    _service("pops", "video", "POPS", "pops.vn"),
    _service("nimo-tv", "video", "Nimo TV", "nimo.tv"),
    _service("kick", "video", "Kick", "kick.com"),
    _service("spotify", "video", "Spotify", "spotify.com scdn.co spotifycdn.com spotifycdn.net"),
    _service("nhaccuatui", "video", "NhacCuaTui", "nhaccuatui.com nct.vn"),
    _service("zing-mp3", "video", "Zing MP3", "zingmp3.vn mp3.zing.vn"),
    _service("soundcloud", "video", "SoundCloud", "soundcloud.com sndcdn.com"),
)

_GAMES = (
    _service("roblox", "games", "Roblox", "roblox.com rbxcdn.com rbx.com robloxlabs.com"),
    _service("garena", "games", "Garena", "garena.com garena.vn garenanow.com garena.sg"),
    _service("free-fire", "games", "Free Fire", "freefiremobile.com ff.garena.com ff.garena.vn ffsupport.garena.com"),
    _service("lien-quan", "games", "Arena of Valor", "lienquan.garena.vn moba.garena.vn arenaofvalor.com", vi="Liên Quân Mobile"),
    _service(
        "steam",
        "games",
        "Steam",
        "steampowered.com steamcommunity.com steamcontent.com steamstatic.com steamusercontent.com steamgames.com steam-chat.com",
    ),
    _service("epic-games", "games", "Epic Games", "epicgames.com epicgames.dev"),
    _service("fortnite", "games", "Fortnite", "fortnite.com fortnite-public-service-prod11.ol.epicgames.com"),
    _service("minecraft", "games", "Minecraft", "minecraft.net mojang.com minecraftservices.com"),
    _service("pubg", "games", "PUBG", "pubg.com pubgmobile.com pubgmobile.vn"),
    _service(
        "riot",
        "games",
        "Riot (Valorant, League of Legends)",
        "riotgames.com riotcdn.net pvp.net leagueoflegends.com playvalorant.com valorant.com",
    ),
    _service("wild-rift", "games", "Wild Rift", "wildrift.leagueoflegends.com"),
    _service("hoyoverse", "games", "HoYoverse (Genshin Impact)", "hoyoverse.com hoyolab.com mihoyo.com hoyo.link"),
    _service("mobile-legends", "games", "Mobile Legends", "mobilelegends.com moonton.com"),
    _service(
        "supercell",
        "games",
        "Supercell (Clash, Brawl Stars)",
        "supercell.com supercell.net clashofclans.com clashroyale.com brawlstars.com",
    ),
    _service("vng-games", "games", "VNG Games", "vnggames.com zingplay.com 360game.vn", vi="VNG Games, ZingPlay"),
    _service("vtc-game", "games", "VTC Game", "vtcgame.vn au.vtc.vn"),
    _service("soha-game", "games", "SohaGame", "sohagame.vn sohaplay.vn"),
    _service("gunny", "games", "Gunny", "gunny.zing.vn gn.zing.vn"),
    _service("funtap", "games", "Funtap", "funtap.vn"),
    _service("play-together", "games", "Play Together", "playtogether.vnggames.com"),
    _service("gamevui", "games", "GameVui", "gamevui.vn"),
    _service("game24h", "games", "Game24h", "game24h.vn"),
    _service("y8", "games", "Y8", "y8.com"),
    _service("poki", "games", "Poki", "poki.com poki-cdn.com poki.io"),
    _service("crazygames", "games", "CrazyGames", "crazygames.com"),
    _service("friv", "games", "Friv", "friv.com"),
    _service("miniclip", "games", "Miniclip", "miniclip.com"),
    _service("io-games", "games", "Browser .io games", "agar.io slither.io diep.io krunker.io paper-io.com", vi="Trò chơi .io"),
    _service("battle-net", "games", "Battle.net", "battle.net blizzard.com"),
    _service("ea", "games", "EA", "ea.com origin.com"),
    _service("ubisoft", "games", "Ubisoft", "ubisoft.com ubi.com"),
    _service("playstation", "games", "PlayStation", "playstation.com playstation.net sonyentertainmentnetwork.com"),
    _service("xbox", "games", "Xbox", "xbox.com xboxlive.com xboxservices.com"),
    _service("nintendo", "games", "Nintendo", "nintendo.com nintendo.net"),
    _service("among-us", "games", "Among Us", "innersloth.com among.us"),
    _service("candy-crush", "games", "Candy Crush", "king.com"),
    _service("geometry-dash", "games", "Geometry Dash", "boomlings.com robtopgames.com"),
)

_SHOPPING = (
    _service("shopee", "shopping", "Shopee", "shopee.vn shopee.com shopeemobile.com susercontent.com shope.ee shp.ee"),
    _service("lazada", "shopping", "Lazada", "lazada.vn lazada.com lazcdn.com slatic.net"),
    _service("tiki", "shopping", "Tiki", "tiki.vn tikicdn.com"),
    _service("sendo", "shopping", "Sendo", "sendo.vn scdn.vn"),
    _service("cho-tot", "shopping", "Chợ Tốt", "chotot.com"),
    _service("temu", "shopping", "Temu", "temu.com kwcdn.com"),
    _service("shein", "shopping", "SHEIN", "shein.com shein.com.vn ltwebstatic.com"),
    _service("amazon", "shopping", "Amazon", "www.amazon.com www.amazon.co.jp www.amazon.co.uk www.amazon.de www.amazon.sg"),
    _service("taobao", "shopping", "Taobao and Tmall", "taobao.com tmall.com 1688.com", vi="Taobao, Tmall, 1688"),
    _service("aliexpress", "shopping", "AliExpress", "aliexpress.com aliexpress.us"),
    _service("ebay", "shopping", "eBay", "ebay.com ebayimg.com ebaystatic.com"),
)

_AI = (
    _service("chatgpt", "ai", "ChatGPT", "chatgpt.com openai.com oaistatic.com sora.com"),
    _service("gemini", "ai", "Google Gemini", "gemini.google.com bard.google.com aistudio.google.com"),
    _service("claude", "ai", "Claude", "claude.ai claude.com"),
    _service("copilot", "ai", "Microsoft Copilot", "copilot.microsoft.com copilot.cloud.microsoft"),
    _service("grok", "ai", "Grok", "grok.com x.ai"),
    _service("deepseek", "ai", "DeepSeek", "deepseek.com"),
    _service("character-ai", "ai", "Character.AI", "character.ai c.ai"),
    _service("perplexity", "ai", "Perplexity", "perplexity.ai pplx.ai"),
    _service("poe", "ai", "Poe", "poe.com"),
    _service("meta-ai", "ai", "Meta AI", "meta.ai"),
    _service("kimi", "ai", "Kimi", "kimi.com kimi.ai moonshot.cn"),
    _service("qwen", "ai", "Qwen", "qwen.ai qwenlm.ai"),
    _service("doubao", "ai", "Doubao and Cici", "doubao.com cici.com ciciai.com", vi="Doubao, Cici"),
    _service("mistral", "ai", "Mistral", "chat.mistral.ai"),
    _service("midjourney", "ai", "Midjourney", "midjourney.com"),
    _service("replika", "ai", "Replika", "replika.com replika.ai"),
    _service("talkie", "ai", "Talkie", "talkie-ai.com"),
    _service("suno", "ai", "Suno", "suno.com suno.ai"),
    _service("zalo-ai", "ai", "Kiki (Zalo AI)", "zalo.ai"),
)

_DATING = (
    _service("tinder", "dating", "Tinder", "tinder.com gotinder.com tindersparks.com"),
    _service("badoo", "dating", "Badoo", "badoo.com badoo.app badoocdn.com"),
    _service("bumble", "dating", "Bumble", "bumble.com bumbcdn.com"),
    _service("litmatch", "dating", "Litmatch", "litatom.com litmatchapp.com"),
    _service("ymeetme", "dating", "Ymeetme", "ymeet.me"),
    _service("grindr", "dating", "Grindr", "grindr.com grindr.mobi"),
    _service("okcupid", "dating", "OkCupid", "okcupid.com okccdn.com"),
)

_READING = (
    _service("wattpad", "social", "Wattpad", "wattpad.com wattpad.vn"),
    _service("webtoon", "video", "WEBTOON", "webtoons.com webtoon.com"),
    _service("waka", "video", "Waka", "waka.vn"),
    _service("comico", "video", "Comico", "comico.vn"),
    _service("fandom", "social", "Fandom", "fandom.com wikia.com"),
    _service("ao3", "social", "Archive of Our Own", "archiveofourown.org"),
)

CATALOGUE: tuple[Service, ...] = (*_SOCIAL, *_CHAT, *_VIDEO, *_GAMES, *_SHOPPING, *_AI, *_DATING, *_READING)

SERVICES: dict[str, Service] = {service.id: service for service in CATALOGUE}


def _index() -> dict[str, tuple[str, ...]]:
    ids: dict[str, tuple[str, ...]] = {}
    for service in CATALOGUE:
        for name in service.names:
            ids[name] = (*ids.get(name, ()), service.id)
    return ids


_IDS = _index()


def services_of(name: str) -> tuple[tuple[str, str], ...]:
    """``(service id, listed name)`` for every service that covers ``name``, most specific listed name first.

    >>> services_of("ff.garena.vn")
    (('free-fire', 'ff.garena.vn'), ('garena', 'garena.vn'))
    """
    return tuple((service_id, listed) for listed in parents(name) for service_id in _IDS.get(listed, ()))
